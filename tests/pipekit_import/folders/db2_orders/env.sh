# shared by all syncs
export AS400_URL="jdbc:as400://ibmi.example.com/SALESLIB;naming=sql"
export AS400_USER=etl
export AS400_PW=Wint3r-2019
export DW_HOST=dw.example.com
export DW_URL="jdbc:postgresql://$DW_HOST:5432/dw"
export DW_USER=etl
